"""Anything the user has -> records -> numeric batches, and back."""

from refold.data._adapters import Adapter, adapter_from_json, fit_adapter
from refold.data._arrays import ArrayAdapter
from refold.data._samples import Digits, digits_of_scikit_learn, find_digits
from refold.data._sources import Source, open_source
from refold.data._tables import Column, TableAdapter
from refold.data._writing import write_records

__all__ = [
    "Adapter",
    "ArrayAdapter",
    "Column",
    "Digits",
    "Source",
    "TableAdapter",
    "adapter_from_json",
    "digits_of_scikit_learn",
    "find_digits",
    "fit_adapter",
    "open_source",
    "write_records",
]
