"""Data policies: what each sensitivity class and category demands."""
