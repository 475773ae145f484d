"""Incidents reach people: what is said, to whom, when, and the record of it.

In: the changes of incidents, as the store has them. Out: messages at receivers, and a log of every
message sent or not sent, with its reason.
"""
