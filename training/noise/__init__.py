"""How a training draws its noise levels, and how much each level counts; one idea per file."""
