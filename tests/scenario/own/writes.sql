delete from copies where run = $run
