"""Invented providers, activities, offers and pictures, to try the platform with."""
