"""What needs a human, why, and the commands that look and that resolve; and what was left over."""
