"""What every door shows alike: headlines, units, JSON objects, escaped text."""
