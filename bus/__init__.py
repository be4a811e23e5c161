"""How to talk to unitd: messages, the manager's end, the client's end."""
