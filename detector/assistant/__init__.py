"""Read-only tools for assistants, by the Model Context Protocol: the API's own questions."""
