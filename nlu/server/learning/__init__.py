"""What understanding computes, free of Rasa: text, words, concepts, features, classifiers."""
