// Live pages.
