"""The operations of the API, in rooms: life of sessions, what they watch, what they have measured."""
