"""The repository on the disk: its layout, its publications, what a killed run left, and which versions stay."""
