"""Volumes of sections: vendors' files, layer lines, and what is measured between layers.

Nothing is imported here: steps of `foveal.images.preparation` use the lines, and the volumes use
the steps.
"""
