"""Stream strategies: one method per file, found by its name; and the machine that runs them.

Items pass one by one, in the order of their arrival. Each is asked about, or accepted (its
prediction becomes a generated label), or deferred (it goes back to the pool); the stream ends when
the labels left are spent, and the items that did not come by stay in the pool. A file of this
folder holds a *rule*, which only says whether it wants to ask; what all rules share is in
``machine`` (budget, hard cap, acceptance, log) and ``quality`` (forecast, audit, bounds).

For the page, before a run
    `fit_reliability(confidences, right)` says from a random sample that was checked what
    confidences are worth; with it `forecast(confidences)` gives expected questions and errors
    against the threshold, `acceptance_thresholds(confidences, predicted, C, error)` the confidence
    from which each class may be accepted, and `count_wrong` how many labels will be wrong, with
    an interval. A dry run is a run whose decisions are counted and not written down.

For the job
    `start(name, labels_left=, items_expected=, accept_from=, seed=, coming=)` makes a state;
    `run(state, arrivals)` takes (item, predicted class, calibrated confidence) from any iterator,
    holds none of them, and yields (item, decision, state) for each. Write the decisions of some
    hundreds of items, what they lead to, and `state.to_json()` in one transaction: after a crash
    `StreamState.from_json` goes on from the last one, with the same decisions as without a crash
    (feed it the items after the last one written). New items are fed to the state kept; when the
    stream is `finished`, or its model has changed, start another.
    `labels_left` is in items: money left over price. The store checks the budget again whenever a
    person labels; the cap here only keeps the queue from growing beyond it.

For the log
    `Decision.to_json()` holds p, threshold, û, the acceptance threshold and the random draws; with
    the model's number beside them, `replay(state, decisions)` decides all of it again and raises
    where a decision comes out otherwise.

For the audit (``strategies.stream.quality``)
    `audit.audit_sample(classes, confidences, share, rng, least=)` says which generated labels a
    person is to see blind, `bounds.error_bounds(generated, truth, C)` and
    `bounds.error_bound(wrong, audited)` say how wrong they may be, `bounds.audits_needed(0.05)`
    how many it takes.
    The bound over all classes leaves out the rows that are `extra`.
"""

from strategies.stream.machine.budget import BudgetEstimate as BudgetEstimate
from strategies.stream.machine.budget import budget_rate as budget_rate
from strategies.stream.machine.deciding import ItemDraws as ItemDraws
from strategies.stream.machine.deciding import decide as decide
from strategies.stream.machine.deciding import replay as replay
from strategies.stream.machine.deciding import run as run
from strategies.stream.machine.decision import Decision as Decision
from strategies.stream.machine.decision import Outcome as Outcome
from strategies.stream.machine.errors import ReplayError as ReplayError
from strategies.stream.machine.errors import StreamError as StreamError
from strategies.stream.machine.errors import StreamFinished as StreamFinished
from strategies.stream.machine.state import NEVER as NEVER
from strategies.stream.machine.state import StreamState as StreamState
from strategies.stream.machine.state import start as start
from strategies.stream.quality.forecast import Forecast as Forecast
from strategies.stream.quality.forecast import acceptance_thresholds as acceptance_thresholds
from strategies.stream.quality.forecast import forecast as forecast
from strategies.stream.quality.reliability import Reliability as Reliability
from strategies.stream.quality.reliability import Wrong as Wrong
from strategies.stream.quality.reliability import count_wrong as count_wrong
from strategies.stream.quality.reliability import fit_reliability as fit_reliability
