"""What the agent can do on a command: `command_type` is `<executor>.<action>`, the payload its parameters."""
