"""The four studies: assess, defend, transfer, codesign."""
