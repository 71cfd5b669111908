"""Who may use the API: tokens, and the audit of what was done with them."""
