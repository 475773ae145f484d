"""Reports that a log damaged: how much of each the product still reads."""
