"""The only code that writes status columns: every change of state is a guarded update."""
