"""Record bytes → Line, for every transport that carries kernel logs.

`Parser` is the door; FORMATS are the names that tell it to read one format only; `TrustPolicy` is what a
site trusts. The modules beside
it read one family of formats each and know nothing of records, hosts or each other's state.
"""

from detector.parse.host_names import HostForm
from detector.parse.origin import KERNEL_FILES, TrustPolicy
from detector.parse.parser import FORMATS, Parser

__all__ = ["FORMATS", "KERNEL_FILES", "HostForm", "Parser", "TrustPolicy"]
