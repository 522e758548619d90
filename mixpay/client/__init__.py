"""The user's side: passes, sending, receiving. Pure cores (`sender`, `profile`), thin edges around them."""
