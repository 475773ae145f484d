"""Sources of facts about fixed kernel bugs (CVE records, kernel checkouts), and the index
file.

Here is the IO alone; what records mean is in `detector.known`.
"""
