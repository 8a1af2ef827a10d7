"""Which solver and which time grid give good images in few evaluations?"""
