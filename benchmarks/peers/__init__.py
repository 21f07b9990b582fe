"""What ours is measured against and nobody ships as a package."""
