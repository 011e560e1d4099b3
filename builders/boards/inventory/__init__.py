"""The boards of a project: ``boards.yml``, read and resolved."""

from builders.boards.inventory.keys import InventoryFile
from builders.boards.inventory.load import FILE, Board, Inventory, load_inventory, require_models

__all__ = ["FILE", "Board", "Inventory", "InventoryFile", "load_inventory", "require_models"]
