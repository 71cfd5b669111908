"""How a guest is moved: the steps, what drives them, and what happens when one fails."""
