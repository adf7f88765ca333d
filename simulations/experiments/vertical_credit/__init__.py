"""Does a grid company's side improve a bank's credit score, and what does federating cost against pooling?"""
