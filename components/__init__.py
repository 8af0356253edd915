"""What Nightforge does; `flows` says when. Imports go down only (see CONTRIBUTING.md)."""
