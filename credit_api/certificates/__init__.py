"""Certificates on paper: signed PDF documents in Chinese and English, with the font they need and a QR code."""
