"""Unicode characters of the symbol commands of the normal form."""

from __future__ import annotations

import unicodedata

from ocrtool.latex_syntax.tree import Words

_PAIRS = r"""
\alpha α \beta β \gamma γ \delta δ \epsilon ϵ \varepsilon ε \zeta ζ \eta η \theta θ \vartheta ϑ
\iota ι \kappa κ \varkappa ϰ \lambda λ \mu μ \nu ν \xi ξ \pi π \varpi ϖ \rho ρ \varrho ϱ \sigma σ
\varsigma ς \tau τ \upsilon υ \phi ϕ \varphi φ \chi χ \psi ψ \omega ω \digamma ϝ \Gamma Γ \Delta Δ
\Theta Θ \Lambda Λ \Xi Ξ \Pi Π \Sigma Σ \Upsilon Υ \Phi Φ \Psi Ψ \Omega Ω \varGamma Γ \varDelta Δ
\varTheta Θ \varLambda Λ \varXi Ξ \varPi Π \varSigma Σ \varUpsilon Υ \varPhi Φ \varPsi Ψ \varOmega Ω
\infty ∞ \partial ∂ \nabla ∇ \ell ℓ \hbar ℏ \imath ı \jmath ȷ \wp ℘ \Re ℜ \Im ℑ \aleph ℵ \beth ℶ
\gimel ℷ \daleth ℸ \eth ð \mho ℧ \Bbbk 𝕜 \forall ∀ \exists ∃ \nexists ∄ \emptyset ∅ \varnothing ⌀
\neg ¬ \top ⊤ \bot ⊥ \angle ∠ \measuredangle ∡ \sphericalangle ∢ \triangle △ \triangledown ▽
\vartriangle △ \Box □ \Diamond ◇ \lozenge ◊ \blacksquare ■ \blacklozenge ⧫ \blacktriangle ▲
\blacktriangledown ▼ \bigstar ★ \flat ♭ \natural ♮ \sharp ♯ \clubsuit ♣ \diamondsuit ♢
\heartsuit ♡ \spadesuit ♠ \prime ′ \backprime ‵ \surd √ \complement ∁ \ldots … \cdots ⋯ \vdots ⋮
\ddots ⋱ \checkmark ✓ \circledR ® \circledS Ⓢ \dagger † \ddagger ‡ \S § \P ¶ \pounds £
\copyright © \% % \# # \& & \_ _ \$ $ \maltese ✠ \diagup ╱ \diagdown ╲
\pm ± \mp ∓ \times × \div ÷ \cdot ⋅ \circ ∘ \bullet • \star ⋆ \oplus ⊕ \ominus ⊖ \otimes ⊗
\oslash ⊘ \odot ⊙ \cap ∩ \cup ∪ \uplus ⊎ \sqcap ⊓ \sqcup ⊔ \vee ∨ \wedge ∧ \setminus ∖
\smallsetminus ∖ \wr ≀ \amalg ⨿ \diamond ⋄ \bigtriangledown ▽ \triangleleft ◃ \triangleright ▹
\lhd ⊲ \rhd ⊳ \unlhd ⊴ \unrhd ⊵ \bigcirc ◯ \ltimes ⋉ \rtimes ⋊ \leftthreetimes ⋋
\rightthreetimes ⋌ \Cap ⋒ \Cup ⋓ \curlywedge ⋏ \curlyvee ⋎ \barwedge ⊼ \veebar ⊻
\doublebarwedge ⩞ \boxplus ⊞ \boxminus ⊟ \boxtimes ⊠ \boxdot ⊡ \circleddash ⊝ \circledast ⊛
\circledcirc ⊚ \intercal ⊺ \divideontimes ⋇ \dotplus ∔
\leq ≤ \geq ≥ \leqslant ⩽ \geqslant ⩾ \leqq ≦ \geqq ≧ \ll ≪ \gg ≫ \lll ⋘ \ggg ⋙ \prec ≺ \succ ≻
\preceq ⪯ \succeq ⪰ \preccurlyeq ≼ \succcurlyeq ≽ \precsim ≾ \succsim ≿ \precapprox ⪷
\succapprox ⪸ \lesssim ≲ \gtrsim ≳ \lessapprox ⪅ \gtrapprox ⪆ \lessgtr ≶ \gtrless ≷ \lesseqgtr ⋚
\gtreqless ⋛ \lessdot ⋖ \gtrdot ⋗ \eqslantless ⪕ \eqslantgtr ⪖ \subset ⊂ \supset ⊃ \subseteq ⊆
\supseteq ⊇ \subseteqq ⫅ \supseteqq ⫆ \subsetneq ⊊ \supsetneq ⊋ \subsetneqq ⫋ \supsetneqq ⫌
\varsubsetneq ⊊ \Subset ⋐ \Supset ⋑ \sqsubset ⊏ \sqsupset ⊐ \sqsubseteq ⊑ \sqsupseteq ⊒ \in ∈
\ni ∋ \notin ∉ \neq ≠ \equiv ≡ \sim ∼ \nsim ≁ \simeq ≃ \cong ≅ \ncong ≇ \approx ≈ \approxeq ≊
\asymp ≍ \propto ∝ \doteq ≐ \doteqdot ≑ \triangleq ≜ \circeq ≗ \bumpeq ≏ \Bumpeq ≎ \eqsim ≂
\backsim ∽ \backsimeq ⋍ \risingdotseq ≓ \fallingdotseq ≒ \eqcirc ≖ \models ⊨ \vdash ⊢ \dashv ⊣
\Vdash ⊩ \vDash ⊨ \Vvdash ⊪ \nvdash ⊬ \nvDash ⊭ \nVdash ⊮ \perp ⟂ \smile ⌣ \frown ⌢ \smallsmile ⌣
\smallfrown ⌢ \bowtie ⋈ \between ≬ \pitchfork ⋔ \therefore ∴ \because ∵ \trianglelefteq ⊴
\trianglerighteq ⊵ \vartriangleleft ⊲ \vartriangleright ⊳ \ntriangleleft ⋪ \ntrianglelefteq ⋬
\ntriangleright ⋫ \ntrianglerighteq ⋭ \nleq ≰ \ngeq ≱ \nless ≮ \ngtr ≯ \nleqslant ≰ \ngeqslant ≱
\lneq ⪇ \gneq ⪈ \lneqq ≨ \gneqq ≩ \lnsim ⋦ \gnsim ⋧ \nprec ⊀ \nsucc ⊁ \npreceq ⋠ \nsucceq ⋡
\nsubseteq ⊈ \nsupseteq ⊉ \nmid ∤ \nparallel ∦ \shortmid ∣ \shortparallel ∥ \multimap ⊸
\blacktriangleleft ◀ \blacktriangleright ▶
\leftarrow ← \rightarrow → \leftrightarrow ↔ \Leftarrow ⇐ \Rightarrow ⇒ \Leftrightarrow ⇔
\longleftarrow ⟵ \longrightarrow ⟶ \longleftrightarrow ⟷ \Longleftarrow ⟸ \Longrightarrow ⟹
\Longleftrightarrow ⟺ \mapsto ↦ \longmapsto ⟼ \hookleftarrow ↩ \hookrightarrow ↪ \uparrow ↑
\downarrow ↓ \updownarrow ↕ \Uparrow ⇑ \Downarrow ⇓ \Updownarrow ⇕ \nearrow ↗ \searrow ↘
\swarrow ↙ \nwarrow ↖ \leftharpoonup ↼ \leftharpoondown ↽ \rightharpoonup ⇀ \rightharpoondown ⇁
\rightleftharpoons ⇌ \leftrightharpoons ⇋ \leadsto ⇝ \leftrightsquigarrow ↭ \twoheadrightarrow ↠
\twoheadleftarrow ↞ \rightarrowtail ↣ \leftarrowtail ↢ \rightrightarrows ⇉ \leftleftarrows ⇇
\rightleftarrows ⇄ \leftrightarrows ⇆ \upuparrows ⇈ \downdownarrows ⇊ \upharpoonright ↾
\upharpoonleft ↿ \downharpoonright ⇂ \downharpoonleft ⇃ \dashrightarrow ⇢ \dashleftarrow ⇠
\curvearrowright ↷ \curvearrowleft ↶ \circlearrowright ↻ \circlearrowleft ↺ \looparrowright ↬
\looparrowleft ↫ \nrightarrow ↛ \nleftarrow ↚ \nRightarrow ⇏ \nLeftarrow ⇍ \nleftrightarrow ↮
\nLeftrightarrow ⇎ \Lsh ↰ \Rsh ↱ \Rrightarrow ⇛ \Lleftarrow ⇚
\sum ∑ \prod ∏ \coprod ∐ \bigcup ⋃ \bigcap ⋂ \bigoplus ⨁ \bigotimes ⨂ \bigodot ⨀ \bigvee ⋁
\bigwedge ⋀ \bigsqcup ⨆ \biguplus ⨄ \int ∫ \iint ∬ \iiint ∭ \oint ∮ \oiint ∯ \oiiint ∰ \smallint ∫
\{ { \} } \langle ⟨ \rangle ⟩ \lfloor ⌊ \rfloor ⌋ \lceil ⌈ \rceil ⌉ \lgroup ⟮ \rgroup ⟯
\lmoustache ⎰ \rmoustache ⎱ \ulcorner ⌜ \urcorner ⌝ \llcorner ⌞ \lrcorner ⌟ \llbracket ⟦
\rrbracket ⟧ \| ‖ \not ̸
"""
_words = _PAIRS.split()
CHARACTER = dict(zip(_words[::2], _words[1::2], strict=True))
"""Maps a symbol command to its Unicode character; function names have none."""

_LETTERS = {r"\AA": "Å", r"\aa": "å", r"\ae": "æ", r"\AE": "Æ", r"\o": "ø", r"\O": "Ø",
            r"\oe": "œ", r"\OE": "Œ", r"\ss": "ß", r"\i": "ı", r"\j": "ȷ", "~": " ",
            r"\{": "{", r"\}": "}", "`": "‘", "'": "’"}  # fmt: skip
_MARKS = {r"\'": "\u0301", r"\`": "\u0300", r"\^": "\u0302", r"\~": "\u0303", r"\=": "\u0304",
          r'\"': "\u0308", r"\.": "\u0307", r"\u": "\u0306", r"\v": "\u030c", r"\H": "\u030b",
          r"\c": "\u0327", r"\r": "\u030a"}  # fmt: skip


def words_of(words: Words) -> str:
    """Return the Unicode string of a text node."""
    said: list[str] = []
    mark = ""
    for token in words.tokens:
        if token in _MARKS:
            mark = _MARKS[token]
        elif token not in ("{", "}"):
            letter = _LETTERS.get(token) or CHARACTER.get(token, token)
            if mark:
                letter = {"ı": "i", "ȷ": "j"}.get(letter, letter)
            said.append(unicodedata.normalize("NFC", letter + mark))
            mark = ""
    return "".join(said).replace("‘‘", "“").replace("’’", "”")
