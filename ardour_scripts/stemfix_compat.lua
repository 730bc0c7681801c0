-- stemfix_compat: what differs between Ardour 7, 8 and 9 and between systems, each behind one small function.
return function (lib)
  local M = {}

  --- Whether scripts may start programs: Ardour 8 has a preference that forbids it.
  function M.can_run_programs ()
    return os.forkexec ~= nil and os.execute ~= nil
  end

  --- `count` new tracks of `channels` inputs from place `order` in the mixer on; one call is much quicker than many.
  function M.new_audio_tracks (count, channels, outputs, order, name)
    -- The third argument is a group: nil serves as a pointer (7, 8) and as a shared one (9).
    return Session:new_audio_track (channels, outputs, nil, count, name, order, ARDOUR.TrackMode.Normal, false, false)
      :table ()
  end

  --- Take a track away again that was made a moment ago, where Ardour can (8 and later). True if it could.
  function M.remove_track (track)
    if not Session.remove_route then return false end
    return (pcall (function () Session:remove_route (track) end))
  end

  --- Quote a word for the shell.
  function M.quote (word)
    return "'" .. word:gsub ("'", "'\\''") .. "'"
  end

  --- Run a command and wait. What it returns differs (7 says 0 whatever happened): look at what it should have done.
  function M.execute (command)
    if os.execute then os.execute (command) end
  end

  --- Make folders and those above them, private to the user. One command for all: to fork Ardour takes 0.2 s.
  function M.make_folders (paths)
    local words = { "mkdir -p -m 700 --" }
    for _, path in ipairs (paths) do words[#words + 1] = M.quote (path) end
    M.execute (table.concat (words, " "))
  end

  --- A child has all of Ardour's open files, and one that kept Ardour's sockets would hold its ports: a first
  -- Python closes them, then becomes a shell that waits for the second one to note how it ended.
  local CLOSE_ALL = "import os, sys; os.closerange (3, 1 << 20); os.execv ('/bin/sh', sys.argv[1:])"
  local NOTE_END = '"$@"; echo $? >"$0"'

  --- Start a Python that outlives Ardour, without the library paths that Ardour sets for itself. When it ends,
  -- its exit status is in the file `status`.
  function M.start (python, arguments, environment, log, status)
    local words = { "unset LD_LIBRARY_PATH LD_PRELOAD GTK_PATH GTK_MODULES GDK_PIXBUF_MODULE_FILE GTK2_RC_FILES"
      .. " VAMP_PATH FONTCONFIG_FILE PYTHONHOME PYTHONPATH ARDOUR_BUNDLED PREBUNDLE_ENV; umask 077; trap '' HUP;" }
    for name, value in pairs (environment or {}) do words[#words + 1] = "export " .. name .. "=" .. M.quote (value) .. ";" end
    words[#words + 1] = "if [ -x " .. M.quote (python) .. " ]; then"
    for _, word in ipairs ({ python, "-c", CLOSE_ALL, "sh", "-c", NOTE_END, status, python, table.unpack (arguments) }) do
      words[#words + 1] = M.quote (word)
    end
    words[#words + 1] = ">" .. M.quote (log) .. " 2>&1 </dev/null &"
    words[#words + 1] = "else echo " .. M.quote (python .. " is not there.") .. " >" .. M.quote (log)
    words[#words + 1] = "; echo 127 >" .. M.quote (status) .. "; fi"
    os.remove (status)
    os.forkexec ("/bin/sh", "-c", table.concat (words, " "))
  end

  --- Open a file or a folder in the program that the desktop has for it.
  function M.open (path)
    M.execute ("(unset LD_LIBRARY_PATH GTK_PATH; xdg-open " .. M.quote (path) .. " || open " .. M.quote (path)
      .. ") >/dev/null 2>&1 &")
  end

  return M
end
