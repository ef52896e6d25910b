"""Run a user's command shut in, as far as the machine allows, and say how far that was."""
