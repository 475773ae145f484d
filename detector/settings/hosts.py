"""The settings of hosts: how their names are brought into one form, and where else a name
stands.
"""

from __future__ import annotations

from detector.settings.group import Aliases, Group, Listed, PathPatterns, setting


class HostSettings(Group):
    """The names of hosts, in one form: lower case, no dot at the end."""

    domains: Listed = setting(
        (), "domains that are cut off: with example.com, web-12.example.com is web-12"
    )
    aliases: Aliases = setting(
        {},
        'other names of hosts, a table: { "10.0.0.12" = "web-12" }; in one word 10.0.0.12=web-12',
    )
    unnamed: Listed = setting(
        ("localhost", "localhost.localdomain", "(none)"),
        (
            "names of a machine that has not got its own yet: under one boot id its lines are "
            "those of the host that it becomes"
        ),
    )
    paths: PathPatterns = setting(
        ("/var/crash/{host}/",),
        (
            "where the path of a file names the host of its lines, which name none: {host} is a "
            "name that begins with a letter, * anything within one folder's name"
        ),
    )
