"""How to talk to a manager: messages, server, client."""
