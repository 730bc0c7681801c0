-- ardour7-lua export.lua SESSION-FOLDER NAME OUT-FOLDER OUT-NAME FIRST STOP: master out as a float WAV file.
assert (load_session (arg[1], arg[2]))
local export = Session:simple_export ()
assert (export:set_preset ("5a6d0c8e-5e57-4b5e-9b39-7d2f1c0a3e11"))
export:set_name (arg[4])
export:set_folder (arg[3])
export:set_range (tonumber (arg[5]), tonumber (arg[6]))
assert (export:check_outputs ())
assert (export:run_export ())
-- At once: Ardour 7.3 sometimes aborts while it takes a session of many tracks down.
os.exit (0, false)
