"""The commands of the normal form, by category.

Commands that render identically have one entry in ``SYNONYMS``. A command that is not listed is
unknown: a formula that uses it has no normal form.
"""

from __future__ import annotations

import string

from ocrtool.latex_syntax.tokens import names

_GREEK = r"""\alpha \beta \gamma \delta \epsilon \varepsilon \zeta \eta \theta \vartheta \iota
\kappa \varkappa \lambda \mu \nu \xi \pi \varpi \rho \varrho \sigma \varsigma \tau \upsilon
\phi \varphi \chi \psi \omega \digamma"""
_CAPITALS = r"\Gamma \Delta \Theta \Lambda \Xi \Pi \Sigma \Upsilon \Phi \Psi \Omega"
_SLANTED = " ".join(r"\var" + name[1:] for name in _CAPITALS.split())
_LETTERLIKE = r"""\infty \partial \nabla \ell \hbar \imath \jmath \wp \Re \Im \aleph \beth \gimel
\daleth \eth \mho \Bbbk \forall \exists \nexists \emptyset \varnothing \neg \top \bot \angle
\measuredangle \sphericalangle \triangle \triangledown \vartriangle \Box \Diamond \lozenge
\blacksquare \blacklozenge \blacktriangle \blacktriangledown \bigstar \flat \natural \sharp
\clubsuit \diamondsuit \heartsuit \spadesuit \prime \backprime \surd \complement \ldots \cdots
\vdots \ddots \checkmark \circledR \circledS \dagger \ddagger \S \P \pounds \copyright \% \# \& \_
\$ \maltese \diagup \diagdown"""
_BINARY = r"""\pm \mp \times \div \cdot \circ \bullet \star \oplus \ominus \otimes \oslash \odot
\cap \cup \uplus \sqcap \sqcup \vee \wedge \setminus \smallsetminus \wr \amalg \diamond
\bigtriangledown \triangleleft \triangleright \lhd \rhd \unlhd \unrhd \bigcirc \ltimes \rtimes
\leftthreetimes \rightthreetimes \Cap \Cup \curlywedge \curlyvee \barwedge \veebar \doublebarwedge
\boxplus \boxminus \boxtimes \boxdot \circleddash \circledast \circledcirc \intercal \divideontimes
\dotplus"""
_RELATIONS = r"""\leq \geq \leqslant \geqslant \leqq \geqq \ll \gg \lll \ggg \prec \succ \preceq
\succeq \preccurlyeq \succcurlyeq \precsim \succsim \precapprox \succapprox \lesssim \gtrsim
\lessapprox \gtrapprox \lessgtr \gtrless \lesseqgtr \gtreqless \lessdot \gtrdot \eqslantless
\eqslantgtr \subset \supset \subseteq \supseteq \subseteqq \supseteqq \subsetneq \supsetneq
\subsetneqq \supsetneqq \varsubsetneq \Subset \Supset \sqsubset \sqsupset \sqsubseteq \sqsupseteq
\in \ni \notin \neq \equiv \sim \nsim \simeq \cong \ncong \approx \approxeq \asymp \propto \doteq
\doteqdot \triangleq \circeq \bumpeq \Bumpeq \eqsim \backsim \backsimeq \risingdotseq
\fallingdotseq \eqcirc \models \vdash \dashv \Vdash \vDash \Vvdash \nvdash \nvDash \nVdash \perp
\smile \frown \smallsmile \smallfrown \bowtie \between \pitchfork \therefore \because
\trianglelefteq \trianglerighteq \vartriangleleft \vartriangleright \ntriangleleft
\ntrianglelefteq \ntriangleright \ntrianglerighteq \nleq \ngeq \nless \ngtr \nleqslant
\ngeqslant \lneq \gneq \lneqq
\gneqq \lnsim \gnsim \nprec \nsucc \npreceq \nsucceq \nsubseteq \nsupseteq \nmid \nparallel
\shortmid \shortparallel \multimap \blacktriangleleft \blacktriangleright"""
_ARROWS = r"""\leftarrow \rightarrow \leftrightarrow \Leftarrow \Rightarrow \Leftrightarrow
\longleftarrow \longrightarrow \longleftrightarrow \Longleftarrow \Longrightarrow
\Longleftrightarrow \mapsto \longmapsto \hookleftarrow \hookrightarrow \uparrow \downarrow
\updownarrow \Uparrow \Downarrow \Updownarrow \nearrow \searrow \swarrow \nwarrow \leftharpoonup
\leftharpoondown \rightharpoonup \rightharpoondown \rightleftharpoons \leftrightharpoons \leadsto
\leftrightsquigarrow \twoheadrightarrow \twoheadleftarrow \rightarrowtail \leftarrowtail
\rightrightarrows \leftleftarrows \rightleftarrows \leftrightarrows \upuparrows \downdownarrows
\upharpoonright \upharpoonleft \downharpoonright \downharpoonleft \dashrightarrow \dashleftarrow
\curvearrowright \curvearrowleft \circlearrowright \circlearrowleft \looparrowright
\looparrowleft \nrightarrow \nleftarrow \nRightarrow \nLeftarrow \nleftrightarrow
\nLeftrightarrow \Lsh \Rsh \Rrightarrow \Lleftarrow"""
_LARGE = r"""\sum \prod \coprod \bigcup \bigcap \bigoplus \bigotimes \bigodot \bigvee \bigwedge
\bigsqcup \biguplus \int \iint \iiint \oint \oiint \oiiint \smallint"""
_NAMED = r"""\sin \cos \tan \cot \sec \csc \sinh \cosh \tanh \coth \arcsin \arccos \arctan \log \ln
\lg \exp \arg \deg \dim \hom \ker \lim \limsup \liminf \max \min \sup \inf \det \gcd \Pr
\varlimsup \varliminf \varinjlim \varprojlim \injlim \projlim \bmod"""
_DELIMITERS = r"""\{ \} \langle \rangle \lfloor \rfloor \lceil \rceil \lgroup \rgroup \lmoustache
\rmoustache \ulcorner \urcorner \llcorner \lrcorner \llbracket \rrbracket \|"""

CAPITALS = frozenset(_CAPITALS.split())
"""Greek capitals that differ from Latin ones."""
BINARY = frozenset(_BINARY.split())
"""Binary operators."""
RELATIONS = frozenset((_RELATIONS + " " + _ARROWS).split())
"""Relations and arrows."""
LARGE = frozenset(_LARGE.split())
"""Large operators, whose limits may be above and below."""
NAMED = frozenset(_NAMED.split())
"""Function names that are commands."""
DELIMITER_NAMES = frozenset(_DELIMITERS.split())
"""Delimiters that are commands."""

SYMBOLS = (
    frozenset((_GREEK + " " + _CAPITALS + " " + _SLANTED + " " + _LETTERLIKE).split())
    | BINARY
    | RELATIONS
    | LARGE
    | NAMED
    | DELIMITER_NAMES
    | {r"\not"}
)
"""Commands that are one symbol and take no argument."""

CHARACTERS = frozenset(string.ascii_letters + string.digits + '+-*/=<>()[]|.,:;!?@`"')
"""Characters that represent themselves in a formula."""

_PAIRS = r"""
\le \leq  \ge \geq  \ne \neq  \lt <  \gt >  \to \rightarrow  \gets \leftarrow  \land \wedge
\lor \vee  \lnot \neg  \owns \ni  \lbrace \{  \rbrace \}  \lbrack [  \rbrack ]  \vert |
\lvert |  \rvert |  \mid |  \Vert \|  \lVert \|  \rVert \|  \parallel \|  \ast *  \cdotp \cdot
\dotsc \ldots  \dotso \ldots  \mathellipsis \ldots  \hdots \ldots  \dotsb \cdots  \dotsm \cdots
\dotsi \cdots  \ldotp .  \textellipsis \ldots  \hslash \hbar  \colon :  \vcentcolon :
\backslash \setminus  \bigtriangleup \triangle  \iff \Longleftrightarrow  \implies \Longrightarrow
\impliedby \Longleftarrow  \dag \dagger  \ddag \ddagger  \square \Box  \rightsquigarrow \leadsto
\restriction \upharpoonright  \thicksim \sim  \thickapprox \approx  \varpropto \propto
\doublecup \Cup  \doublecap \Cap  \llless \lll  \gggtr \ggg  \intop \int  \ointop \oint
\isin \in  \sub \subset  \infin \infty  \exist \exists  \empty \emptyset  \real \Re  \image \Im
\alef \aleph  \alefsym \aleph  \thetasym \vartheta  \bull \bullet  \sdot \cdot  \sect \S
\lang \langle  \rang \rangle  \Rarr \Rightarrow  \rarr \rightarrow  \larr \leftarrow
\harr \leftrightarrow  \Doteq \doteqdot  \Join \bowtie  \textdollar \$
\textunderscore \_  \textdagger \dagger  \rq \prime  \centerdot \cdot  \gvertneqq \gneqq
\lvertneqq \lneqq  \varsubsetneqq \subsetneqq  \textregistered \circledR  \textsterling \pounds
\mod \bmod  \textbar |  \textless <  \textgreater >  \textasteriskcentered *
"""
_words = _PAIRS.split()
SYNONYMS = dict(zip(_words[::2], _words[1::2], strict=True))
"""Maps a command to the one that renders identically, or differs only in spacing."""

OPERATORS = {
    r"\argmin": (r"\operatorname*", "argmin"),
    r"\argmax": (r"\operatorname*", "argmax"),
    r"\plim": (r"\operatorname*", "plim"),
    r"\ch": (r"\operatorname", "ch"),
    r"\cosec": (r"\operatorname", "cosec"),
    r"\cotg": (r"\operatorname", "cotg"),
    r"\ctg": (r"\operatorname", "ctg"),
    r"\cth": (r"\operatorname", "cth"),
    r"\sh": (r"\operatorname", "sh"),
    r"\tg": (r"\operatorname", "tg"),
    r"\th": (r"\operatorname", "th"),
    r"\arctg": (r"\operatorname", "arctg"),
}
"""Operators that are not defined in every LaTeX, and their portable form."""

MULTIPLE_SYMBOLS: dict[str, tuple[tuple[str, str], ...]] = {
    r"\coloneqq": ((":", ""), ("=", "")),
    r"\coloneq": ((":", ""), ("-", "")),
    r"\colonequals": ((":", ""), ("=", "")),
    r"\eqqcolon": (("=", ""), (":", "")),
    r"\Coloneqq": ((":", ""), (":", ""), ("=", "")),
    r"\coloncolonequals": ((":", ""), (":", ""), ("=", "")),
    r"\dblcolon": ((":", ""), (":", "")),
    r"\R": (("R", "bb"),),
    r"\reals": (("R", "bb"),),
    r"\Reals": (("R", "bb"),),
    r"\N": (("N", "bb"),),
    r"\natnums": (("N", "bb"),),
    r"\Z": (("Z", "bb"),),
    r"\cnums": (("C", "bb"),),
    r"\Complex": (("C", "bb"),),
}
"""Commands that expand to several symbols: pairs of token and font."""

FONTS = {
    "bf": r"\mathbf",
    "bm": r"\boldsymbol",
    "rm": r"\mathrm",
    "cal": r"\mathcal",
    "scr": r"\mathscr",
    "bb": r"\mathbb",
    "frak": r"\mathfrak",
    "sf": r"\mathsf",
    "tt": r"\mathtt",
}
"""Maps a font of letters to its command in the normal form."""

FONT_COMMANDS = {command: font for font, command in FONTS.items()} | {
    r"\bm": "bm",
    r"\pmb": "bm",
    r"\bold": "bf",
    r"\Bbb": "bb",
    r"\mathbbm": "bb",
    r"\mathds": "bb",
    r"\frak": "frak",
    r"\mathsfit": "sf",
    r"\mathit": "",
    r"\mathnormal": "",
    r"\mathup": "rm",
    r"\symbf": "bf",
    r"\symup": "rm",
}
"""Maps a font command with an argument to its font."""
FONT_SWITCHES = {
    r"\rm": "rm",
    r"\bf": "bf",
    r"\it": "",
    r"\cal": "cal",
    r"\sf": "sf",
    r"\tt": "tt",
    r"\mit": "",
    r"\rmfamily": "rm",
    r"\bfseries": "bf",
    r"\itshape": "",
}
"""Maps a font switch, which affects the rest of the group, to its font."""

ACCENTS = names(
    r"""\hat \widehat \tilde \widetilde \check \widecheck \bar \overline \vec \overrightarrow
\overleftarrow \overleftrightarrow \underrightarrow \underleftarrow \dot \ddot \dddot
\ddddot \acute \grave \breve \mathring \underline \overbrace \underbrace \boxed \cancel
\bcancel \xcancel \sout \overrightharpoon \overleftharpoon \overgroup \undergroup"""
)
"""Commands that draw an accent or line over, under or around their argument."""
ACCENT_NAMES = {
    r"\underbar": r"\underline", r"\fbox": r"\boxed", r"\'": r"\acute", r"\`": r"\grave",
    r"\^": r"\hat", r'\"': r"\ddot", r"\r": r"\mathring", r"\v": r"\check",
}  # fmt: skip
"""Maps an alternative name of an accent to the one of the normal form."""
WIDE = {r"\hat": r"\widehat", r"\tilde": r"\widetilde", r"\check": r"\widecheck"}
"""Maps the accent for one letter to its wide form for several."""
NARROW = {wide: narrow for narrow, wide in WIDE.items()}
"""Maps a wide accent to its narrow form."""

LONG_ARROWS = names(
    r"""\xrightarrow \xleftarrow \xleftrightarrow \xRightarrow \xLeftarrow \xLeftrightarrow
\xhookrightarrow \xhookleftarrow \xmapsto \xrightharpoonup \xrightharpoondown
\xleftharpoonup \xleftharpoondown \xrightleftharpoons \xleftrightharpoons
\xtwoheadrightarrow \xtwoheadleftarrow \xlongequal"""
)
"""Extensible arrows with text above and below."""

BRACKETS = {
    r"\ket": ("|", r"\rangle"),
    r"\Ket": ("|", r"\rangle"),
    r"\bra": (r"\langle", "|"),
    r"\Bra": (r"\langle", "|"),
    r"\braket": (r"\langle", r"\rangle"),
    r"\Braket": (r"\langle", r"\rangle"),
    r"\set": (r"\{", r"\}"),
    r"\Set": (r"\{", r"\}"),
    r"\pod": ("(", ")"),
}
"""Commands that put their argument between delimiters."""

DELIMITERS = {
    name: SYNONYMS.get(name, name) for name in SYNONYMS if SYNONYMS[name] in DELIMITER_NAMES | {"|"}
}
r"""Maps a delimiter after ``\left`` or ``\big`` to its form without them."""
DELIMITERS |= {name: name for name in DELIMITER_NAMES} | {c: c for c in "()[]|/."}
DELIMITERS |= {"<": r"\langle", ">": r"\rangle", r"\lt": r"\langle", r"\gt": r"\rangle"}
DELIMITERS |= {r"\backslash": r"\setminus", r"\lbrack": "[", r"\rbrack": "]"}
DELIMITERS |= {arrow: arrow for arrow in names(
    r"\uparrow \downarrow \updownarrow \Uparrow \Downarrow \Updownarrow")}  # fmt: skip

SIZE_COMMANDS = frozenset(
    rf"\{size}{side}" for size in ("big", "Big", "bigg", "Bigg") for side in ("", "l", "r", "m")
)
"""Size commands of the delimiter that follows."""

IGNORED = names(
    r"""~ \, \: \; \! \> \/ \- \quad \qquad \enspace \enskip \thinspace \medspace \thickspace
\negthinspace \negmedspace \negthickspace \nobreakspace \space \hfill \hfil \vfill
\strut \mathstrut \null \relax \allowbreak \nobreak \break \protect \noindent \nonumber
\notag \displaystyle \textstyle \scriptstyle \scriptscriptstyle \limits \nolimits
\displaylimits \smallskip \medskip \bigskip \newline \linebreak \nolinebreak \par \tiny
\scriptsize \footnotesize \small \normalsize \large \Large \LARGE \huge \Huge
\normalfont \boldmath \unboldmath \centering \hss \begingroup \endgroup"""
)
"""Spacing, size and style commands, which the normal form omits."""
LENGTH_SPACES = frozenset([r"\kern", r"\mkern", r"\hskip", r"\mskip"])
"""Spacing commands followed by a length without braces."""
HIDDEN = {r"\hspace": 1, r"\vspace": 1, r"\label": 1, r"\tag": 1, r"\phantom": 1, r"\hphantom": 1,
          r"\vphantom": 1, r"\rule": 2, r"\color": 1, r"\mspace": 1}  # fmt: skip
"""Maps omitted commands (invisible content, rules, colours, labels) to their number of
arguments."""
LAST_ARGUMENT = {
    name: 0
    for name in names(
        r"""\mathord \mathbin \mathrel \mathopen \mathclose \mathpunct \mathinner \ensuremath
\smash \mathclap \mathllap \mathrlap \rlap \llap \clap \vcenter \mathstrut"""
    )
} | {r"\textcolor": 1, r"\colorbox": 1, r"\raisebox": 1}
"""Commands reduced to their last argument, and the number of arguments before it."""

MATRICES = {"(": "pmatrix", "[": "bmatrix", r"\{": "Bmatrix", "|": "vmatrix", r"\|": "Vmatrix"}
"""Maps an opening delimiter to the matrix environment with it."""
CLOSING = {"(": ")", "[": "]", r"\{": r"\}", "|": "|", r"\|": r"\|"}
"""Maps an opening delimiter to the closing one."""
ENVIRONMENTS = (
    {name: name for name in ("matrix", "cases", "rcases", "aligned", "gathered", "array")}
    | {name: name for name in MATRICES.values()}
    | {name + "*": name for name in ("matrix", *MATRICES.values())}
    | {name: "aligned" for name in ("align", "align*", "split", "alignat", "alignat*", "alignedat",
                                    "flalign", "flalign*")}
    | {name: "gathered" for name in ("gather", "gather*", "multline", "multline*")}
    | {"smallmatrix": "matrix", "dcases": "cases", "drcases": "rcases", "subarray": "substack",
       "darray": "array", "eqnarray": "eqnarray", "eqnarray*": "eqnarray"}
    | {name: "" for name in ("equation", "equation*", "displaymath", "math")}
)  # fmt: skip
"""Maps an environment to that of the normal form; empty where it is omitted."""

UNICODE = {
    "−": "-", "–": "-", "∗": "*", "×": r"\times", "÷": r"\div", "±": r"\pm", "∓": r"\mp",
    "·": r"\cdot", "⋅": r"\cdot", "∘": r"\circ", "•": r"\bullet", "≤": r"\leq", "≥": r"\geq",
    "≠": r"\neq", "≈": r"\approx", "≡": r"\equiv", "∼": r"\sim", "≃": r"\simeq", "∝": r"\propto",
    "∈": r"\in", "∉": r"\notin", "⊂": r"\subset", "⊆": r"\subseteq", "⊃": r"\supset", "∪": r"\cup",
    "∩": r"\cap", "∅": r"\emptyset", "∀": r"\forall", "∃": r"\exists", "¬": r"\neg",
    "∧": r"\wedge", "∨": r"\vee", "∞": r"\infty", "∂": r"\partial", "∇": r"\nabla",
    "∑": r"\sum", "∏": r"\prod", "∫": r"\int", "→": r"\rightarrow", "←": r"\leftarrow",
    "↔": r"\leftrightarrow", "⇒": r"\Rightarrow", "⇔": r"\Leftrightarrow", "↦": r"\mapsto",
    "⟨": r"\langle", "⟩": r"\rangle", "…": r"\ldots", "⋯": r"\cdots", "′": r"\prime",
    "ℓ": r"\ell", "ℏ": r"\hbar", "⊗": r"\otimes", "⊕": r"\oplus", "⊥": r"\perp", "†": r"\dagger",
    "‖": r"\|", "∥": r"\|", "∣": "|", "≪": r"\ll", "≫": r"\gg", "∖": r"\setminus",
    "α": r"\alpha", "β": r"\beta", "γ": r"\gamma", "δ": r"\delta", "ε": r"\varepsilon",
    "ϵ": r"\epsilon", "ζ": r"\zeta", "η": r"\eta", "θ": r"\theta", "ι": r"\iota", "κ": r"\kappa",
    "λ": r"\lambda", "μ": r"\mu", "µ": r"\mu", "ν": r"\nu", "ξ": r"\xi", "π": r"\pi", "ρ": r"\rho",
    "σ": r"\sigma", "τ": r"\tau", "υ": r"\upsilon", "φ": r"\varphi", "ϕ": r"\phi", "χ": r"\chi",
    "ψ": r"\psi", "ω": r"\omega", "Γ": r"\Gamma", "Δ": r"\Delta", "Θ": r"\Theta",
    "Λ": r"\Lambda", "Ξ": r"\Xi", "Π": r"\Pi", "Σ": r"\Sigma", "Φ": r"\Phi", "Ψ": r"\Psi",
    "Ω": r"\Omega",
}  # fmt: skip
"""Commands of non-ASCII characters."""

TEXT_SYMBOLS = {
    r"\%": r"\%", r"\#": r"\#", r"\&": r"\&", r"\_": r"\_", r"\$": r"\$", r"\{": r"\{",
    r"\}": r"\}", r"\ldots": r"\ldots", r"\dots": r"\ldots", r"\AA": r"\AA", r"\aa": r"\aa",
    r"\ae": r"\ae", r"\AE": r"\AE", r"\o": r"\o", r"\O": r"\O", r"\oe": r"\oe", r"\OE": r"\OE",
    r"\ss": r"\ss", r"\i": r"\i", r"\j": r"\j", r"\S": r"\S", r"\P": r"\P",
    r"\copyright": r"\copyright", r"\pounds": r"\pounds", r"\textendash": "–",
}  # fmt: skip
"""Commands that are symbols within text."""
TEXT_ACCENTS = frozenset([r"\'", r"\`", r"\^", r"\~", r"\=", r'\"', r"\.", r"\u", r"\v", r"\H",
                          r"\c", r"\r"])  # fmt: skip
"""Accent commands of letters in text."""
