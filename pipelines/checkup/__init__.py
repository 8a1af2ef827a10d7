"""What the doctor looks at before anything long starts."""
