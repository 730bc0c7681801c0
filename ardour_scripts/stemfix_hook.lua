ardour {
  ["type"] = "EditorHook",
  name = "stemfix: Finish jobs",
  license = "GPL",
  author = "stemfix",
  description = [[Brings in the stems of jobs that run in the background, or that outlived their window or session.]],
}

function signals ()
  return LuaSignal.Set ():add ({ [LuaSignal.LuaTimerDS] = true })
end

function factory ()
  local tick
  return function (signal)
    -- Where Ardour 9 numbers its signals in another way the hook is bound to a second one, which may come in the
    -- middle of the user's edit.
    if signal ~= LuaSignal.LuaTimerDS then return end
    -- An error that got out would end the hook; one that comes back ten times a second must not be shown.
    pcall (function ()
      if not tick then
        local lib = assert (loadfile (ARDOUR.user_config_directory (-1) .. "/scripts/stemfix_lib.lua")) ()
        tick = lib.use ("actions").make_tick ()
      end
      tick ()
    end)
  end
end
