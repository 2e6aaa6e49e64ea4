"""Compiled scanners of text: numbers in lines, and quotes that open or close a field.

All take ``uint8[:]`` text of whole lines, run without the interpreter lock and are cached on disk.
"""

from numba import njit

from motherlode.data.formats.csv_quotes import structural

structural_compiled = njit(nogil=True, cache=True)(structural)
"""(uint8[:], int64[:], int64, int64) -> int64[:]; 1 to 2 ns a quote."""

LIMIT = (2**63 - 10) // 10


FINE, STRANGE, TOO_LARGE, NONE = range(4)
"""What a line is: a record, no such record, one whose numbers do not fit, none at all."""


@njit(nogil=True, cache=True)
def _word(text, position, limit):  # type: ignore[no-untyped-def]
    """Return where the next word between blanks begins and ends; both the limit if none does."""
    while position < limit and (text[position] == 32 or text[position] in (9, 13)):
        position += 1
    stop = position
    while stop < limit and not (text[stop] == 32 or text[stop] in (9, 13)):
        stop += 1
    return position, stop


@njit(nogil=True, cache=True)
def _whole(text, start, stop, greatest):  # type: ignore[no-untyped-def]
    """Return the whole number a word is, -1 if it is none, -2 if it is too large."""
    number = -1
    for at in range(start, stop):
        digit = text[at] - 48
        if digit < 0 or digit > 9:
            return -1
        if number > LIMIT:
            return -2
        number = max(number, 0) * 10 + digit
    return -2 if number > greatest else number


@njit(nogil=True, cache=True)
def _line_end(text, position, comment):  # type: ignore[no-untyped-def]
    """Return where the text of a line ends, without a comment, and where the line does."""
    size = len(text)
    limit = -1
    while position < size and text[position] != 10:
        if text[position] == comment and limit < 0:
            limit = position
        position += 1
    return position if limit < 0 else limit, position


@njit(nogil=True, cache=True)
def baskets(text, greatest, items, offsets, faults):  # type: ignore[no-untyped-def]
    """Read lines of whole numbers between blanks; a line is a basket, also an empty one.

    Parameters
    ----------
    text : uint8[:]
        Lines; the last may lack its end.
    greatest : int
        Items above it do not fit.
    items : int32[:] or int64[:]
        Gets the items; half as long as the text, and one more.
    offsets : int32[:]
        Gets where each basket's items begin, and where the last one's end.
    faults : uint8[:]
        Gets what each line is.

    Returns
    -------
    int, int
        Number of lines, number of baskets.
    """
    count = line = rows = position = 0
    size = len(text)
    offsets[0] = 0
    while position < size:
        fault = FINE
        number = -1
        while position < size and text[position] != 10:
            c = text[position]
            position += 1
            if 48 <= c <= 57:
                number = max(number, 0)
                if number > LIMIT:
                    fault = max(fault, TOO_LARGE)
                    number = 0
                number = number * 10 + (c - 48)
                if number > greatest:
                    fault = max(fault, TOO_LARGE)
                continue
            if c != 32 and c != 9 and c != 13:
                fault = STRANGE
                break
            if number >= 0:
                items[count] = number
                count += 1
                number = -1
        if number >= 0:
            items[count] = number
            count += 1
        while position < size and text[position] != 10:
            position += 1
        position += 1
        faults[line] = fault
        line += 1
        if fault == FINE:
            rows += 1
            offsets[rows] = count
        else:
            count = offsets[rows]
    return line, rows


@njit(nogil=True, cache=True)
def sequences(text, greatest, items, inner, outer, faults):  # type: ignore[no-untyped-def]
    """Read lines of whole numbers where -1 ends an itemset and -2 the sequence.

    Parameters
    ----------
    text, greatest, items, faults
        As of :func:`baskets`. Blank lines, and those that start with ``#``, ``%`` or ``@``, are
        no records.
    inner : int32[:]
        Gets where each itemset's items begin, and where the last one's end.
    outer : int32[:]
        Gets where each sequence's itemsets begin, and where the last one's end.

    Returns
    -------
    int, int
        Number of lines, number of sequences.
    """
    count = sets = line = rows = position = 0
    inner[0] = outer[0] = 0
    while position < len(text):
        limit, stop = _line_end(text, position, 0)
        fault = NONE
        closed = False
        if text[position] == 35 or text[position] == 37 or text[position] == 64:
            position = limit
        while position < limit:
            start, position = _word(text, position, limit)
            if start == limit:
                break
            number = _whole(text, start, position, greatest)
            mark = text[start + 1] - 48 if position - start == 2 and text[start] == 45 else 0
            fault = FINE
            if closed or number == -2:
                fault = STRANGE if closed else TOO_LARGE
                break
            if number >= 0:
                items[count] = number
                count += 1
            elif mark == 1:
                sets += 1
                inner[sets] = count
            elif mark == 2 and count == inner[sets]:
                closed = True
            else:
                fault = STRANGE
                break
        if fault == FINE and not closed:
            fault = STRANGE
        faults[line] = fault
        line += 1
        position = stop + 1
        if fault == FINE:
            rows += 1
            outer[rows] = sets
        else:
            sets = outer[rows]
            count = inner[sets]
    return line, rows


@njit(nogil=True, cache=True)
def sparse_rows(text, base, width, indices, values, offsets, indptr, labels, ends, faults):  # type: ignore[no-untyped-def]
    """Read lines ``label index:value …``, with an optional ``qid:`` and a comment after ``#``.

    Labels and values are copied as text, to be read by an exact reader.

    Parameters
    ----------
    text, faults
        As of :func:`baskets`. Blank and comment lines are no records. Indices must ascend.
    base : int
        What is taken off each index.
    width : int
        Indices from there on do not fit.
    indices : int32[:]
        Gets the indices.
    values, labels : uint8[:]
        Get the texts, one after another; as long as the text.
    offsets, ends : int32[:]
        Get where each value's, each label's text begins, and where the last one's ends.
    indptr : int32[:]
        Gets where each row's values begin, and where the last one's end.

    Returns
    -------
    int, int, int, int
        Number of lines and of rows, least and greatest index in the rows.
    """
    line = rows = position = 0
    least = LIMIT
    most = -1
    offsets[0] = indptr[0] = ends[0] = 0
    while position < len(text):
        limit, stop = _line_end(text, position, 35)
        start, position = _word(text, position, limit)
        fault = FINE if start < limit else NONE
        count = indptr[rows]
        label_end = _copied(text, start, position, labels, ends[rows])
        last = -1
        low = least
        while position < limit and fault == FINE:
            start, position = _word(text, position, limit)
            colon = start
            while colon < position and text[colon] != 58:
                colon += 1
            number = _whole(text, start, colon, LIMIT) - base
            if start == limit or (colon - start == 3 and text[start] == 113):
                continue
            if number <= last or colon + 1 >= position:
                fault = STRANGE
            elif number >= width:
                fault = TOO_LARGE
            else:
                low = min(low, number)
                last = number
                indices[count] = number
                offsets[count + 1] = _copied(text, colon + 1, position, values, offsets[count])
                count += 1
        faults[line] = fault
        line += 1
        position = stop + 1
        if fault == FINE:
            rows += 1
            ends[rows] = label_end
            indptr[rows] = count
            least = low
            most = max(most, last)
    return line, rows, least, most


@njit(nogil=True, cache=True)
def _copied(text, start, stop, into, end):  # type: ignore[no-untyped-def]
    """Copy a word behind the end of others, and return the new end."""
    for at in range(start, stop):
        into[end] = text[at]
        end += 1
    return end
