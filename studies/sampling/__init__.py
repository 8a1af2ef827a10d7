"""Which solver and time grid give good images in few evaluations?"""
