"""The repository on the disk: where everything lies, what is published, what a killed run left, what stays."""
