-- What stops mail of a class, and what lets it go again: pauses, incidents, approvals.

-- The routes that mail takes as a rule: those of the baseline, or of any mail where there was no baseline.
create table usual_routes as
select run, route from baseline_shares
union all
select distinct run, route from copies anti join baseline_shares using (run);

-- One row a pause of a class, begun in (begin_lo, begin_hi]. `began_by` is operator (his word, or the signal `paused`
-- that the system gives for it) or detection (a fault was detected on a usual route). end_ns is the first moment at
-- which it may have ended, null where nothing ended it: a resume or an approval, `paused` turned off (where it
-- began that of one route, by that route's or one of all), or the detection over that began it.
create macro pauses(of_class) as table
with words as (
    select run, t_ns, action from operator_words where class is null or class = of_class
), begun as (
    select run, 'operator' as began_by, t_ns as begin_lo, t_ns as begin_hi, null as signal, null as route
    from words where action = 'pause'
    union all
    select run, 'operator', lo, hi, 'paused', route from signal_edges where signal = 'paused' and rising
    union all
    select e.run, 'detection', e.lo, e.hi, 'detected', e.route from signal_edges e
    where e.signal = 'detected' and e.rising
      and (e.route is null or (e.run, e.route) in (select (run, route) from usual_routes))
), numbered as (
    select *, row_number() over (partition by run order by begin_hi, signal, route) as number from begun
), falling as (
    select run, signal, coalesce(route, '') as route, lo, hi from signal_edges where not rising
), candidates as (
    select b.run, b.number, b.begin_hi, o.signal as off, o.route as off_route
    from numbered b join (select distinct run, signal, route from falling) o
      on o.run = b.run
         and (o.signal = 'paused' and (b.signal is distinct from 'paused' or b.route is null or o.route = '')
              or o.signal = b.signal and o.route = coalesce(b.route, ''))
), ended as (
    select b.run, b.number, w.t_ns as end_ns
    from numbered b asof join (from words where action in ('resume', 'approve')) w
      on w.run = b.run and b.begin_lo <= w.t_ns
    union all
    -- Of one signal the first to turn off after it began is also the first that may have.
    select b.run, b.number, greatest(e.lo, b.begin_hi)
    from candidates b asof join falling e
      on e.run = b.run and e.signal = b.off and e.route = b.off_route and b.begin_hi < e.hi
), ends as (
    select run, number, min(end_ns) as end_ns from ended group by run, number
)
select b.*, e.end_ns from numbered b left join ends e using (run, number);

-- After which mail of a class that waited needs an approval: an incident that began on a usual route, and an operator's
-- pause. What was due until until_ns may have waited because of it. approved_ns is the first approval since, null: none.
-- Of a `line` no stop is over, or approved, before one that began earlier: each incident, and pauses that began alike.
create macro stops(of_class) as table
with stopped as (
    select i.run, 'incident ' || i.incident as stop, 'incident ' || i.incident as line, i.on_lo as begin_lo, i.on_hi as begin_hi, i.off_lo as until_ns
    from incidents i
    where exists (from usual_routes u where u.run = i.run and list_contains(i.lead_routes, u.route))
    union all
    select p.run, 'pause ' || p.number, concat_ws(' ', 'paused', p.signal, p.route), p.begin_lo, p.begin_hi, coalesce(p.end_ns, r.watch_end_ns)
    from pauses(of_class) p join runs r using (run) where p.began_by = 'operator'
), approved as (
    select s.run, s.stop, min(w.t_ns) as approved_ns
    from stopped s join operator_words w on w.run = s.run and w.action = 'approve' and w.t_ns >= s.begin_lo
        and (w.class is null or w.class = of_class)
    group by s.run, s.stop
)
select s.*, a.approved_ns from stopped s left join approved a using (run, stop);
