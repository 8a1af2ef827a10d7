"""Why do generated images have more intrinsic dimensions than real ones?"""
