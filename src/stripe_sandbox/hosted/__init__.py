"""What a buyer sees: the checkout page, the 3-D Secure step, invoice and receipt.

Plain server-rendered HTML with one style sheet and one small script of its own, nothing from
elsewhere. Works without the script. Leaves paying to ``checkout``.
"""
