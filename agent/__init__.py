"""What runs on customers' machines: the agent and the runner. Imports nothing of webapp."""

VERSION = "0.1.0"
