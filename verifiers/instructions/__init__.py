"""Verifiable instructions by the ids and arguments of IFEval (arXiv 2311.07911; google-research, Apache-2.0).

The code is ours. Each check says True, False, or None where readers would differ: IFEval's own checkers take a guess
there (nltk's sentences, langdetect's dice), count what is not meant ("war" in "software", `---` as a bullet point, a
bullet's asterisk as emphasis), or read keywords as regular expressions.
"""
