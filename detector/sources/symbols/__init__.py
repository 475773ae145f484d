"""The folder of symbols packs: images are read, packs are written, listed and opened.

Here is the IO alone; what an image and a pack hold is in `detector.symbols`.
"""
