"""How far guidance moves the shares of an attribute, beside what else would move them."""
