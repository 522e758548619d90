"""A relay's folder in one file, and back: `mixpay-relay backup` and `restore`.

    archive.py    the file: a tar with a list of what is in it, and checksums
    making.py     from the folder, whether a daemon runs there or not
    restoring.py  into a folder, all or nothing

What an old copy means for money, and what a relay does because of it, stands in `relay/keys/restored.py`.
"""
