"""Models loaded one after another into a memory that is limited, measured, and given back."""
