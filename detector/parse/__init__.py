"""Record bytes → Line, for every transport that carries kernel logs.

`Parser` is the door; FORMATS are the names that tell it to read one format only; `HostForm` is the
one form of hosts' names. The modules beside it read one family of formats each and know nothing of
records, hosts or each other's state.
"""

from detector.parse.host_names import HostForm
from detector.parse.parser import FORMATS, Parser

__all__ = ["FORMATS", "HostForm", "Parser"]
