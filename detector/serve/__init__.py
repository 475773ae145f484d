"""Pages and API over the history: `app.create_app` makes the application, `gate.py` guards
it, `api/` and `pages/` answer.
"""
