"""Which cameras are shelved and what each of them sees: by hand, kept in Redis, and by the schedule."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

import redis
import structlog

from monitor.line_settings import Maintenance, ProductPlan
from monitor.orders.book import OrderBook
from monitor.orders.schedule import Schedule
from monitor.orders.shelf import KEEP_ENDED_MS, MAX_KEPT, OrderRefused, ProductOrder, Shelf
from streams.camera_id import checked_camera
from streams.frame import Frame

log = structlog.get_logger(__name__)

MAX_SHELF_MS = 7 * 86_400_000
SCHEDULE = "schedule"
MAX_BY, MAX_WHY, MAX_PRODUCT = 100, 200, 128


class Orders:
    """Shelves and products of every camera. Thread-safe.

    What is asked for each frame looks into a snapshot and waits for nobody. `refresh`, each second, fetches what other
    processes ordered; while Redis is away the last known stands. Orders go to Redis first and hold in this process
    when the call returns; while Redis is away they raise redis.RedisError and change nothing.
    """

    def __init__(
        self,
        client: redis.Redis,
        prefix: str,
        maintenance: Sequence[Maintenance] = (),
        products: Sequence[ProductPlan] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock`: seconds since the epoch."""
        self._shelf_book = OrderBook(client, f"{prefix}:shelved", Shelf)
        self._product_book = OrderBook(client, f"{prefix}:product", ProductOrder)
        self._clock = clock
        self._writing = threading.Lock()
        self._shelves: Mapping[str, tuple[Shelf, ...]] = {}
        self._products: Mapping[str, tuple[ProductOrder, ...]] = {}
        self._maintenance, self._plans = Schedule(maintenance), Schedule(products)
        self._away = False

    def plan(self, maintenance: Sequence[Maintenance], products: Sequence[ProductPlan]) -> None:
        """Take over the schedules of a changed configuration."""
        self._maintenance, self._plans = Schedule(maintenance), Schedule(products)

    def refresh(self) -> None:
        """Fetch what was ordered anywhere, and drop what ended long ago. Never raises for Redis."""
        try:
            with self._writing:
                self._shelves, self._products = self._shelf_book.read_all(), self._product_book.read_all()
            self._sweep()
        except redis.RedisError as error:
            if not self._away:
                log.warning("orders_unavailable", error=type(error).__name__, remedy="the last known orders stand")
            self._away = True
            return
        self._away = False

    def shelved(self, camera: str, at_ns: int) -> Shelf | None:
        """The shelf that holds for a frame of this camera captured then, by hand or by the schedule; where both do,
        the one that lasts longer."""
        at_ms = at_ns // 1_000_000
        by_hand = next((shelf for shelf in self._shelves.get(camera, ()) if shelf.holds(at_ms)), None)
        held = self._maintenance.at(camera, at_ns)
        if held is None:
            return by_hand
        entry, hours = held
        until_ms = hours.until_ns // 1_000_000
        if by_hand is not None and by_hand.until_ms >= until_ms:
            return by_hand
        return Shelf(camera=camera, from_ms=hours.from_ns // 1_000_000, until_ms=until_ms, by=SCHEDULE, why=entry.why)

    def shelves(self) -> list[Shelf]:
        """What is shelved by hand now, by camera in order."""
        now_ms = self._now_ms()
        return [shelf for _, known in sorted(self._shelves.items()) for shelf in known if shelf.holds(now_ms)]

    def product(self, camera: str, at_ns: int) -> str:
        """What this camera saw then: as set by hand, else by the schedule, else ""."""
        at_ms = at_ns // 1_000_000
        for order in reversed(self._products.get(camera, ())):
            if order.from_ms <= at_ms:
                if order.product is not None:
                    return order.product
                break
        planned = self._plans.at(camera, at_ns)
        return "" if planned is None else planned[0].product

    def product_of(self, frame: Frame) -> str:
        """What a frame shows. Where its own header says so, that is it, as far as it can be a name."""
        named = product_name(frame.product or "")
        return named or self.product(frame.camera, frame.captured_at_ns)

    def by_hand(self, camera: str) -> ProductOrder | None:
        """The product that is set by hand now."""
        known = self._products.get(camera, ())
        return known[-1] if known and known[-1].product is not None else None

    def shelve(self, camera: str, until_ms: int, by: str, why: str) -> Shelf:
        """Nobody is called for this camera until then. Again extends or shortens. Raises OrderRefused."""
        camera = _camera(camera)
        by, why = _text("by", by, MAX_BY), _text("why", why, MAX_WHY)
        now_ms = self._now_ms()
        if until_ms <= now_ms:
            raise OrderRefused("a shelf must end in the future")
        if until_ms > now_ms + MAX_SHELF_MS:
            raise OrderRefused(
                "a shelf lasts 7 days at most: put longer times into the section `maintenance` of the configuration"
            )

        def changed(known: tuple[Shelf, ...]) -> tuple[Shelf, ...]:
            held = _open(known, now_ms)
            from_ms = now_ms if held is None else held.from_ms
            new = Shelf(camera=camera, from_ms=from_ms, until_ms=until_ms, by=by, why=why)
            return (*(shelf for shelf in _kept(known, now_ms) if shelf is not held), new)

        shelf = self._order_shelf(camera, changed)[-1]
        log.info("camera_shelved", camera=camera, until_ms=until_ms, by=by, why=why)
        return shelf

    def unshelve(self, camera: str, by: str) -> None:
        """The shelf ends now. Raises OrderRefused where there is none by hand."""
        camera = _camera(camera)
        by = _text("by", by, MAX_BY)
        now_ms = self._now_ms()

        def changed(known: tuple[Shelf, ...]) -> tuple[Shelf, ...]:
            held = _open(known, now_ms)
            if held is None:
                raise OrderRefused(self._not_shelved(camera))
            ended = held.model_copy(update={"until_ms": max(now_ms, held.from_ms)})
            return tuple(ended if shelf is held else shelf for shelf in _kept(known, now_ms))

        self._order_shelf(camera, changed)
        log.info("camera_unshelved", camera=camera, by=by)

    def set_product(self, camera: str, product: str | None, by: str) -> None:
        """What this camera sees from now on; None returns to the schedule. Raises OrderRefused."""
        camera = _camera(camera)
        by = _text("by", by, MAX_BY)
        if product is not None:
            product = _text("product", product, MAX_PRODUCT)
        now_ms = self._now_ms()

        def changed(known: tuple[ProductOrder, ...]) -> tuple[ProductOrder, ...]:
            # Another machine's clock may be ahead: what was ordered last holds all the same.
            from_ms = max(now_ms, known[-1].from_ms) if known else now_ms
            return (*known[-MAX_KEPT:], ProductOrder(product=product, from_ms=from_ms, by=by))

        with self._writing:
            self._products = {**self._products, camera: self._product_book.change(camera, changed)}
        log.info("product_set", camera=camera, product=product, by=by)

    def _order_shelf(self, camera: str, changed: Callable[[tuple[Shelf, ...]], tuple[Shelf, ...]]) -> tuple[Shelf, ...]:
        with self._writing:  # a refresh that read before must not write after
            new = self._shelf_book.change(camera, changed)
            self._shelves = {**self._shelves, camera: new}
            return new

    def _sweep(self) -> None:
        """Shelves that ended long ago leave Redis, whichever process sees it first."""
        now_ms = self._now_ms()
        for camera, known in self._shelves.items():
            if len(_kept(known, now_ms)) < len(known):
                self._order_shelf(camera, lambda shelves: _kept(shelves, now_ms))

    def _not_shelved(self, camera: str) -> str:
        shelf = self.shelved(camera, self._now_ms() * 1_000_000)
        if shelf is not None and shelf.by == SCHEDULE:
            return (
                f"camera {camera} is not shelved by hand; it is under maintenance ({shelf.why}) by the section "
                "`maintenance` of the configuration: change it there and reload"
            )
        return f"camera {camera} is not shelved"

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


def product_name(header: str) -> str:
    """A product as a frame's header names it, made fit to be part of a key: printable, at most 128 characters."""
    return "".join(c for c in header[: 2 * MAX_PRODUCT] if c.isprintable()).strip()[:MAX_PRODUCT].strip()


def _open(known: tuple[Shelf, ...], now_ms: int) -> Shelf | None:
    """The shelf that has not ended; by another machine's clock it may not have begun either."""
    return next((shelf for shelf in known if shelf.until_ms > now_ms), None)


def _kept(known: tuple[Shelf, ...], now_ms: int) -> tuple[Shelf, ...]:
    return tuple(shelf for shelf in known if shelf.until_ms > now_ms - KEEP_ENDED_MS)[-MAX_KEPT:]


def _camera(name: str) -> str:
    try:
        return checked_camera(name)
    except ValueError as error:
        raise OrderRefused(str(error)) from None


def _text(name: str, value: str, longest: int) -> str:
    value = value.strip()
    if not value or len(value) > longest or not value.isprintable():
        raise OrderRefused(f"{name}: expected 1 to {longest} printable characters, found {value[:40]!r}")
    return value
